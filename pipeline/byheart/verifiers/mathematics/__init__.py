"""Mathematical answers: written in LaTeX or plainly, read into parts, compared. The verifier `math` is made of it."""

"""The frame around every staff page: who is signed in, the search box, refusals."""

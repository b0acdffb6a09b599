"""Portal access, from the desk's side and the patient's own."""

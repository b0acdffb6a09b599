"""Functions returning components: take values, Vars and handlers. Pages bind them."""

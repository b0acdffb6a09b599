"""One module per screen: route, title, loaders, layout."""

"""What the documentation site needs besides Sphinx and its extensions: pages made from the package itself."""

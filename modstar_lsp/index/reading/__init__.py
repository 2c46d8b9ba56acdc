"""One generation of the index as searching sees it, with or without unsaved text over it."""

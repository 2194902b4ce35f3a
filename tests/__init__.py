"""The tests of lash_store; the folders mirror the package."""

"""The servers that ws4py had, under the names that they had there; each module loads its own server only."""

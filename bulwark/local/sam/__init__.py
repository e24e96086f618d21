"""What `sam build` and `sam local invoke` need beside the template."""

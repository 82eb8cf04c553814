"""What several tests share: fakes, stand-ins, loaders."""

"""What makes a blueprint sound, beyond its shape: flow, names, safety, limits, needs."""

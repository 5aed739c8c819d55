"""From attenuation to a noisy scan."""

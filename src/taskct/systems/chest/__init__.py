"""Chest CT by one network with four heads: findings, class maps, images, lesions."""

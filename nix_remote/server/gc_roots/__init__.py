"""Durable roots on the server: their locations, listing them, removing them."""

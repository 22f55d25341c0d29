"""Ingestion: exchanges that did not go through the gateway, told afterwards, become rows like all others."""

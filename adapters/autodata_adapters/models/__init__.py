"""Models of every kind behind the port of the core. Importing this costs nothing: each kind is loaded when it is asked for."""

from autodata_adapters.models.creation import bridge_spec, create_model

__all__ = ["bridge_spec", "create_model"]

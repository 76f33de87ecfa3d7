"""The fields that the form of every connection type has. Imports nothing: Airflow reads it at discovery."""


def common_fields() -> dict[str, dict[str, object]]:
    """New fields each time, because Airflow may change what it gets."""
    return {
        "connect_timeout": {
            "label": "Connect timeout",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "default": 10},
            "description": "Seconds to establish a connection.",
        },
        "read_timeout": {
            "label": "Read timeout",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "default": 60},
            "description": "Seconds without a byte from the server.",
        },
        "max_call_seconds": {
            "label": "Call timeout",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
            "description": "Seconds for one try as a whole. Empty: 600, or more if the read timeout is longer.",
        },
        "max_retry_seconds": {
            "label": "Retry for",
            "schema": {"type": ["number", "null"], "minimum": 0, "default": 300},
            "description": "Seconds after a call's first try in which further tries may start.",
        },
        "max_answer_mib": {
            "label": "Largest answer",
            "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "default": 64},
            "description": "In MiB; a larger answer is an error.",
        },
        "verify_tls": {
            "label": "Verify TLS",
            "schema": {"type": ["boolean", "null"], "default": True},
            "description": "Check the server's certificate.",
        },
        "ca_path": {
            "label": "CA file",
            "schema": {"type": ["string", "null"]},
            "description": "Path, on the workers, of CA certificates to trust instead of the usual ones.",
        },
    }

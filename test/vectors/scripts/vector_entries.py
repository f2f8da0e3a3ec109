"""The one shape of a vector, and small ways to break sound input."""

EXPECTATIONS = ('success', 'out_of_range', 'not_canonical', 'invalid_proof', 'invalid_signature', 'malformed', 'not_proven')


def entry(name, spec, given, output):
    return {'name': name, 'spec': spec, 'expect': 'success', 'input': given, 'output': output}


def refused(name, spec, why, given):
    assert why in EXPECTATIONS and why != 'success'
    return {'name': name, 'spec': spec, 'expect': why, 'input': given, 'output': None}


def flipped(text):
    """Hex with its last bit turned."""
    return text[:-1] + '0123456789abcdef'[int(text[-1], 16) ^ 1]

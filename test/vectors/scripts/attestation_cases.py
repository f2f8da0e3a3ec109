"""Vectors of SPEC.md chapter 10: statement, seal, claims, compact form."""
import json

from independent_crypto import address, signature
from round_cases import CHAIN, LOCAL, named
from spec_rules import b64url, CLAIM, claims_hash, compact, digest, hx, jcs, roots_hash, statement_hash, tokens, ZERO
from vector_entries import entry, refused

GATEWAY = named('gateway key')
MEMBER = named('member key')


def claim(**change):
    base = {'jobId': hx(named('job')), 'ticketHash': hx(named('ticket')), 'requestHash': hx(named('request')),
            'roundId': hx(named('round')), 'provider': hx(address(MEMBER)), 'transcriptHash': hx(tokens('assay/tokens/1', [7, 9, 2])),
            'lastCommitment': hx(named('commitment')), 'rootsHash': hx(roots_hash([named('root')])), 'chunkCount': 1,
            'outputTokens': 3, 'finish': 0, 'checkpoint': hx(ZERO)}
    return {**base, **change}


def member():
    value = claim()
    ticket = {'jobId': value['jobId'], 'requestHash': value['requestHash'], 'roundId': value['roundId'], 'provider': value['provider'],
              'kind': 0, 'jobHash': hx(named('schedule')), 'padHash': hx(named('padding')), 'inputNanoPerMtok': '50000000',
              'outputNanoPerMtok': '9223372036854775807', 'issuedAtMs': 1767225600000, 'expiresAtMs': 1767225660000,
              'retainUntilMs': 1767312000000, 'checkpoint': hx(ZERO)}
    return {'provider': value['provider'], 'operator': 'operator ä', 'slot': 14, 'standing': 'counted', 'ticket': ticket,
            'commitments': [value['lastCommitment']],
            'openings': [{'tokenCount': 3, 'last': True, 'evidenceRoot': hx(named('evidence')), 'salt': hx(named('salt'))}],
            'claim': {'value': value, 'signature': hx(signature(MEMBER, digest(LOCAL, CLAIM, value)))}}


def statement(**change):
    sampling = {'temperature': 0.7, 'topP': 1, 'topK': 0, 'presencePenalty': 0, 'frequencyPenalty': 0, 'logitBias': [[5, -1.5]],
                'stop': ['\n']}
    base = {'version': 1, 'requestId': 'chatcmpl-1', 'attempt': 0, 'gateway': hx(address(GATEWAY)),
            'request': {'model': 'minnow-5m', 'modelDigest': hx(named('model')), 'promptHash': hx(named('prompt')), 'promptTokens': 3,
                        'sampling': sampling, 'seed': str(2**64 - 1), 'maxTokens': 16, 'nonce': hx(named('nonce'))},
            'requestHash': hx(named('request')), 'bodyHash': hx(named('body')), 'clientNonce': None,
            'policy': {'mode': 'single', 'n': 1, 'agree': 1, 'release': 'verified', 'on_inconclusive': 'error', 'weight': 'seat'},
            'draw': {'epoch': 1, 'index': 0, 'key': hx(named('key')), 'path': [hx(named('sibling'))], 'size': 2,
                     'snapshotHash': hx(named('snapshot')), 'skipped': []},
            'waves': [{'roundId': hx(named('round')), 'padSeed': hx(named('pad')), 'roots': [hx(named('root'))], 'members': [member()]}],
            'scores': [], 'served': hx(address(MEMBER)), 'outputIds': [7, 9, 2], 'verdict': 'unverified',
            'agreement': {'needed': 1, 'standing': 1, 'of': 1}, 'faults': [], 'unverified': ['id', 'created'],
            'contentHash': hx(named('content')), 'price': {'quoteNano': '1000', 'chargedNano': '999'}, 'logIndex': 2,
            'issuedAtMs': 1767225601000}
    return {**base, **change}


def prompts(*names):
    """A choice for each name beside choice 0, about that prompt; only what is not about the first says so."""
    first = statement()
    shared = {k: first[k] for k in ('waves', 'scores', 'served', 'outputIds', 'verdict', 'agreement', 'faults')}
    own = lambda name: {} if name == 'first' else {'prompt': {'promptHash': hx(named(name)), 'promptTokens': 4}}
    return statement(firstVerdict='unverified', choices=[{**own(n), 'skipped': [], **shared} for n in names])


def broken_texts():
    sound = statement()
    text = compact(LOCAL, GATEWAY, sound)
    version, body, signed = text.split('.')
    signature_bytes = signature(GATEWAY, named('any'))
    packed = lambda data: f'v1.{b64url(data)}.{signed}'
    canonical = jcs(sound)
    spaced = json.dumps(sound, ensure_ascii=False, sort_keys=True).encode()
    unsorted = json.dumps(sound, ensure_ascii=False, separators=(',', ':')).encode()
    twice = canonical[:-1] + b',"version":1}'
    not_canonical = [('spaces', spaced), ('members in another order', unsorted), ('a member twice', twice),
                     ('an escaped character', canonical.replace('ä'.encode(), b'\\u00e4')), ('a number in another form', canonical.replace(b'0.7', b'7e-1')),
                     ('a line feed at the end', canonical + b'\n'), ('a byte order mark', b'\xef\xbb\xbf' + canonical)]
    rows = [refused(n, '10.3', 'not_canonical', {'compact': packed(data)}) for n, data in not_canonical]
    without = {k: v for k, v in sound.items() if k != 'verdict'}
    malformed = [('empty', ''), ('another version', f'v2.{body}.{signed}'), ('two parts', f'v1.{body}'), ('four parts', f'{text}.'),
                 ('padding', f'v1.{body}={"" if len(body) % 4 == 3 else "="}.{signed}'), ('standard base64', f'v1.{body}.{signed[:-1]}+'),
                 ('a space', f'v1.{body} .{signed}'), ('a length of 1 mod 4', f'v1.{body}.{signed}AA'),
                 ('64 bytes of signature', f'v1.{body}.{b64url(signature_bytes[:64])}'), ('66 bytes of signature', f'v1.{body}.{b64url(signature_bytes + bytes(1))}'),
                 ('ill-formed UTF-8', packed(canonical.replace('ä'.encode(), b'\xc3('))), ('no JSON', packed(b'{')), ('not an object', packed(b'null')),
                 ('a missing member', packed(jcs(without))), ('an unknown member', packed(jcs({**sound, 'x': 1}))),
                 ('another statement version', packed(jcs(statement(version=2)))), ('an unknown verdict', packed(jcs(statement(verdict='fine')))),
                 ('an upper-case hash', packed(jcs(statement(bodyHash=hx(named('body')).upper().replace('0X', '0x'))))),
                 ('money with a leading zero', packed(jcs(statement(price={'quoteNano': '01000', 'chargedNano': '999'})))),
                 ('a prompt with one choice less', packed(jcs(prompts('first', 'second')))),
                 ('two prompts among the choices of one', packed(jcs(prompts('first', 'second', 'third')))),
                 ('a choice without a prompt after one with', packed(jcs(prompts('first', 'second', 'first')))),
                 ('no waves', packed(jcs(statement(waves=[])))), ('a token id above uint32', packed(jcs(statement(outputIds=[2**32]))))]
    rows += [refused(n, '10.3', 'malformed', {'compact': data}) for n, data in malformed]
    rows += [refused('unused bits set', '10.3', 'malformed', {'compact': f'v1.{unused_bit(body)}.{signed}'})] if len(body) % 4 else []
    # 65 bytes take 87 characters, so the last one has two unused bits
    return rows + [refused('unused bits of the signature set', '10.3', 'malformed', {'compact': f'v1.{body}.{unused_bit(signed)}'})]


def unused_bit(text):
    alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    return text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]


def attestation_file():
    cases = [('a statement', statement()), ('no claim', statement(waves=[{**statement()['waves'][0], 'members': [{**member(), 'claim': None}]}])),
             ('a client nonce', statement(clientNonce='n-é')), ('two prompts of two choices', prompts('first', 'second', 'second')), ('another price', statement(price={'quoteNano': '1000', 'chargedNano': '0'}))]
    lists = [('no claims', []), ('one claim', [claim()]), ('two claims', [claim(), claim(finish=2)]), ('the other order', [claim(finish=2), claim()])]
    claims = [entry(n, '10.1', {'domain': d, 'claims': c}, hx(claims_hash(d, c))) for d in (LOCAL, CHAIN) for n, c in lists]
    compacts = [entry(n, '10.3', {'domain': d, 'key': hx(GATEWAY), 'statement': s}, compact(d, GATEWAY, s))
                for n, s in cases for d in (LOCAL, CHAIN)]
    parses = [entry(n, '10.3', {'compact': compact(LOCAL, GATEWAY, s)}, {'statement': s, 'gateway': hx(address(GATEWAY))}) for n, s in cases]
    return {'statementHash': [entry(n, '10.1', s, hx(statement_hash(s))) for n, s in cases], 'claimsHash': claims,
            'compactAttestation': compacts, 'parseAttestation': parses + broken_texts()}

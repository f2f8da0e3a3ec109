#!/usr/bin/env python3
"""Makes test/vectors/outcomes.json from spec-judge.md section 7.5 alone (Python 3 standard library).

Shares no code with the project: voices are sets, counting is done by comprehension, divisions are integers. The order of
cases is part of the vectors, so a reader enumerates them in the same way:

for n in 1..5, for clusters in all partitions of 1..n in parts (descending; lost members are not in them), for each of
SETUPS (scorers who voted, whether the referee has, whether more scorers and the referee can be asked), one string with
the outcomes of all columns for each agree in 1..n. A case gives every cluster one column of votes, (scorer 1, scorer 2,
referee) as far as they have voted, each of `a` accept, `r` reject, `-` abstain, in this order, first voter most
significant. Clusters of equal size are interchangeable: their columns ascend. Where four clusters or more have three
voters, only the default agree is listed, and by SHA-256 of the string.

An outcome is one character: S scorers, F referee, I inconclusive, or a letter for an index into `serves`, the
list of outcomes that serve as [cluster, behind, standing, of, needed, rejected].
usage: python3 outcome_vectors.py FILE
"""
import hashlib
import itertools
import json
import sys

VOTES = 'ar-'
# scorers who voted, referee has voted, more scorers can be asked, the referee can be asked
SETUPS = [(s, r, ms, mr) for s in (0, 1, 2) for r in (0, 1) for ms in (0, 1) for mr in (0, 1)
          if not (r and mr) and not (s == 2 and ms)]


def partitions(total, largest):
    if total == 0:
        yield []
    for part in range(min(total, largest), 0, -1):
        for rest in partitions(total - part, part):
            yield [part] + rest


def default_agree(n):
    return 2 * n // 3 + 1


def columns(clusters, voters):
    every = [''.join(c) for c in itertools.product(VOTES, repeat=voters)]
    groups = [list(g) for _, g in itertools.groupby(clusters)]
    choices = [list(itertools.combinations_with_replacement(every, len(g))) for g in groups]
    for case in itertools.product(*choices):
        yield [column for group in case for column in group]


def outcome(n, agree, clusters, case, setup):
    scorers, referee, more_scorers, more_referee = setup
    if len(clusters) == 1 and scorers == 0 and not referee and clusters[0] >= agree:
        return (0, (0,), clusters[0], clusters[0], agree, ())
    said = lambda k, voter, vote: case[k][voter] == vote
    voices = range(scorers + referee)

    def ruled(k, yes, no):
        last = case[k][scorers] if referee else '-'
        if last != '-':
            return last == yes
        for_it = [v for v in range(scorers) if said(k, v, yes)]
        against = [v for v in range(scorers) if said(k, v, no)]
        return len(for_it) >= 2 and not against

    every = range(len(clusters))
    rejected = tuple(k for k in every if ruled(k, 'r', 'a'))
    left = tuple(k for k in every if k not in rejected)
    settled = len(left) == 1 or (len(left) > 1 and all(ruled(k, 'a', 'r') for k in left))
    can_speak = more_referee and not referee
    if settled:
        members = sum(clusters[k] for k in left)
        accepting = sum(all(said(k, v, 'a') for k in left) for v in voices)
        opposing = sum(any(said(k, v, 'r') for k in left) for v in voices)
        standing = members + accepting
        of = standing + opposing
        needed = max(agree, -(-agree * of // n))
        if accepting >= 1 and standing >= needed:
            if can_speak and sum(clusters[k] for k in rejected) >= members:
                return 'F'
            best = max(clusters[k] for k in left)
            first = next(k for k in left if clusters[k] == best)
            return (first, left, standing, of, needed, rejected)
    if scorers < 2 and more_scorers:
        return 'S'
    return 'F' if can_speak else 'I'


def main(path):
    serves, index = [], {}

    def letter(result):
        if isinstance(result, str):
            return result
        if result not in index:
            index[result] = chr(0x4E00 + len(serves))
            serves.append([list(x) if isinstance(x, tuple) else x for x in result])
        return index[result]

    groups, count = [], 0
    for n in range(1, 6):
        for members in range(1, n + 1):
            for clusters in partitions(members, members):
                for setup in SETUPS:
                    voters = setup[0] + setup[1]
                    big = len(clusters) >= 4 and voters == 3
                    for agree in ([default_agree(n)] if big else range(1, n + 1)):
                        text = ''.join(letter(outcome(n, agree, clusters, case, setup))
                                       for case in columns(clusters, voters))
                        count += len(text)
                        entry = {'n': n, 'agree': agree, 'clusters': clusters, 'setup': list(setup), 'cases': len(text)}
                        if big:
                            entry['sha256'] = hashlib.sha256(text.encode()).hexdigest()
                        else:
                            entry['outcomes'] = pack(text)
                        groups.append(entry)
    body = {'spec': 'spec-judge.md 7.5', 'cases': count, 'firstServe': 0x4E00, 'serves': serves, 'groups': groups}
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(body, file, ensure_ascii=False, separators=(',', ':'))
        file.write('\n')


def pack(text):
    """Runs of one character as the character and how often it comes, so that the file stays small."""
    return ''.join(c if n == 1 else f'{c}{n}' for c, n in ((c, len(list(g))) for c, g in itertools.groupby(text)))


main(sys.argv[1])

/** Log-probabilities: hashes, seals and what is malformed, against vectors that Python made from SPEC.md §12.5. */
import { z } from 'zod';
import { logprobSalt, logprobsHash, logprobsProblem, shownLogprobsHash, type TokenLogprobs } from '#protocol/logprobs';
import { generateJobHash } from '#protocol/request';
import { zHash } from '#protocol/schema';
import { rule, runVectors } from './read-vectors.ts';

/** Without the bounds of the wire: the hashes have their own. */
const zToken: z.ZodType<TokenLogprobs> = z.tuple([z.number(), z.array(z.tuple([z.number(), z.number()]))]);
const tokens = { tokens: z.array(zToken) };

runVectors('./logprobs.json', {
  logprobsHash: rule(z.strictObject(tokens), (input) => logprobsHash(input.tokens), { out_of_range: 'throws' }),
  logprobSalt: rule(z.strictObject({ inner: zHash, ...tokens }), (input) => logprobSalt(input.inner, input.tokens)),
  logprobsJobHash: rule(z.strictObject({ top: z.number(), chunkSizes: z.array(z.number()) }), ({ top, chunkSizes }) =>
    generateJobHash(chunkSizes, top),
  ),
  shownLogprobsHash: rule(
    z.strictObject({ choices: z.array(z.strictObject({ index: z.number(), logprobs: z.unknown() })) }),
    ({ choices }) => shownLogprobsHash(choices),
    { not_canonical: 'throws' },
  ),
  soundLogprobs: rule(
    z.strictObject({ token: zToken, chosen: z.number(), top: z.number(), vocabSize: z.number() }),
    ({ token, ...rules }) => (logprobsProblem(token, rules) === null ? true : null),
    { malformed: null },
  ),
});

/** `GET` and `POST /v1/quote`: price, security and availability of a request before it is bought. */
import { z } from 'zod';
import { ProtocolError } from '#protocol/errors';
import { utf8 } from '#protocol/hash';
import { parseJsonBody } from '#protocol/json-body';
import { policyText, resolvePolicy } from '#protocol/policy';
import { policyJson } from '#protocol/policy-json';
import { GREEDY } from '#protocol/sampling';
import { safeParse, TOKENS_MAX } from '#protocol/schema';
import { readBody } from '../http/body.ts';
import type { GatewayContext } from '../http/context.ts';
import type { QuotedRequest, QuoteFacts } from '../round/quote.ts';
import { type ChatRules, findModel, parseChatRequest } from './chat-request.ts';
import { choicesOfBody } from './choices.ts';
import { parseCompletionRequest } from './completion-request.ts';
import { maxTokensOfBody } from './max-tokens.ts';
import { isTargetParameter, parseTarget, targetOfQuery } from './quote-target.ts';

export interface QuoteDeps extends ChatRules {
  readonly quote: (request: QuotedRequest) => Promise<QuoteFacts>;
}

/** Token counts in place of messages. */
const zCounts = z.strictObject({
  model: z.string().min(1).max(256),
  prompt_tokens: z.number().int().min(1).max(TOKENS_MAX),
  max_tokens: z.number().int().min(1).max(TOKENS_MAX).nullish(),
  n: z.number().int().min(1).max(TOKENS_MAX).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  verification: z.unknown().optional(),
  target: z.unknown().optional(),
});

/** A whole body of either route, quoted as it would be served, or counts. @throws {ProtocolError} as that route, for what it refuses */
export function postQuote(deps: QuoteDeps): (c: GatewayContext) => Promise<Response> {
  return async (c) => {
    const bytes = await readBody(c.req.raw, deps.limits.bodyBytesMax);
    const { fields } = parseJsonBody(bytes);
    const target = parseTarget(fields.target);
    const parse = parserOf(fields);
    if (parse === null) return show(c, deps, { ...quotedCounts(c, deps, fields), target });
    const { answer } = parse(
      {
        requestId: c.get('requestId'),
        apiKey: c.get('apiKey'),
        bytes,
        policyHeader: c.req.header('assay-verification'),
        nonceHeader: undefined,
        signal: c.req.raw.signal,
      },
      deps,
    );
    return show(c, deps, { ...answer, target, promptTokens: answer.prompts.map((ids) => ids.length) });
  };
}

/** By the field that only one kind of body has. */
function parserOf(fields: Readonly<Record<string, unknown>>) {
  if ('messages' in fields) return parseChatRequest;
  return 'prompt' in fields ? parseCompletionRequest : null;
}

/** The counts as a query, the policy in its text form. */
export function getQuote(deps: QuoteDeps): (c: GatewayContext) => Promise<Response> {
  return (c) => {
    const numbers = ['prompt_tokens', 'max_tokens', 'n', 'temperature'];
    const query = c.req.query();
    const target = parseTarget(targetOfQuery(query));
    const counts = Object.entries(query).filter(([name]) => !isTargetParameter(name));
    const members = counts.map(([name, text]) => {
      const isNumber = numbers.includes(name) && /^\d{1,9}(\.\d{1,6})?$/.test(text);
      return [name, isNumber ? Number(text) : text];
    });
    const { fields } = parseJsonBody(utf8(JSON.stringify(Object.fromEntries(members))));
    return show(c, deps, { ...quotedCounts(c, deps, fields), target });
  };
}

function quotedCounts(c: GatewayContext, rules: ChatRules, fields: Readonly<Record<string, unknown>>): QuotedRequest {
  const parsed = safeParse(zCounts, fields);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const param = issue?.code === 'unrecognized_keys' ? issue.keys[0]! : String(issue?.path[0] ?? 'body');
    throw new ProtocolError(
      'invalid_request',
      'Quotes are for a whole body, or for model, prompt_tokens, max_tokens and n.',
      {
        param: param.slice(0, 64),
      },
    );
  }
  const {
    model: name,
    prompt_tokens: promptTokens,
    temperature,
    verification: body,
    target: _,
    ...counts
  } = parsed.data;
  const { model, suffix } = findModel(name, rules.models);
  const policy = resolvePolicy({
    body,
    header: c.req.header('assay-verification'),
    suffix,
    key: c.get('apiKey').policy,
    gateway: rules.policyDefault,
  });
  const { maxTokensDefault } = rules.limits;
  const maxTokens = maxTokensOfBody(counts, { promptTokens, contextMax: model.contextMax, maxTokensDefault });
  return {
    model,
    policy,
    promptTokens: [promptTokens],
    maxTokens,
    choices: choicesOfBody(counts, maxTokens, rules.limits),
    logprobs: null,
    stream: false,
    clientNonce: null,
    sampling: { ...GREEDY, temperature: temperature ?? 1 },
  };
}

async function show(c: GatewayContext, deps: QuoteDeps, request: QuotedRequest): Promise<Response> {
  const facts = await deps.quote(request);
  const { model, policy } = request;
  const isAvailable = facts.operators >= policy.n && facts.isCovered;
  return c.json({
    object: 'quote',
    model: model.id,
    policy: policyJson(policy),
    policy_text: policyText(policy),
    prompt_tokens: request.promptTokens.reduce((sum, tokens) => sum + tokens, 0),
    max_tokens: request.maxTokens,
    choices: request.choices,
    price: {
      quote_nano: facts.quoteNano.toString(),
      input_nano: facts.inputNano.toString(),
      output_nano: facts.outputNano.toString(),
      input_nano_per_mtok: model.price.inputNanoPerMtok.toString(),
      output_nano_per_mtok: model.price.outputNanoPerMtok.toString(),
      modes: Object.fromEntries(Object.entries(facts.modes).map(([mode, nano]) => [mode, nano.toString()])),
    },
    security: facts.security,
    ...(request.target ? { cheapest: shownOption(facts.cheapest) } : {}),
    availability: {
      available: isAvailable,
      eligible_operators: facts.operators,
      needed_operators: policy.n,
      reserve_covers: facts.isCovered,
    },
  });
}

/** Null where no policy that can be seated now meets the target. */
function shownOption(option: QuoteFacts['cheapest']) {
  return (
    option && {
      policy: policyJson(option.policy),
      policy_text: policyText(option.policy),
      quote_nano: option.quoteNano.toString(),
      price_multiple: option.priceMultiple,
      security: option.security,
    }
  );
}

/** What a network that is ready tells its user. */
import path from 'node:path';
import { type Policy, QUORUM_DEFAULT_N } from '#protocol/policy';

export interface Welcome {
  readonly url: string;
  readonly apiKey: string;
  readonly providers: number;
  readonly modelFolder: string;
  /** What providers run by turns; empty where all run the same. */
  readonly engines: readonly string[];
  readonly gateway: { readonly defaultPolicy: Policy };
}

/** The ready line first; scripts wait for it. */
export function welcomeLines({ url, apiKey, providers, modelFolder, engines, gateway }: Welcome): string[] {
  const model = path.basename(modelFolder);
  const members = `${providers} provider${providers === 1 ? '' : 's'}`;
  const body = `{"model":"${model}","temperature":0,"messages":[{"role":"user","content":"What is the capital of Norway?"}]}`;
  const headers = `-H 'Authorization: Bearer ${apiKey}' -H 'Content-Type: application/json'`;
  return [
    `Assay is ready: ${members}, 1 referee, model ${model}, policy ${shortPolicy(gateway.defaultPolicy)}.`,
    ...(providers < QUORUM_DEFAULT_N
      ? [`  ${members} cannot seat the usual quorum of ${QUORUM_DEFAULT_N}: the default policy is smaller.`]
      : []),
    ...(engines.length > 0 ? [`  engines   ${engines.join(', ')}, by turns`] : []),
    `  base URL  ${url}/v1`,
    `  API key   ${apiKey}`,
    'Try:',
    `  curl -s ${url}/v1/chat/completions ${headers} -d '${body}'`,
  ];
}

function shortPolicy({ mode, n }: Policy): string {
  return mode === 'single' ? mode : `${mode} n=${n}`;
}

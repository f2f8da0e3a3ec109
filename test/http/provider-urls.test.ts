/** A provider's URL at every door through which one comes in: the configuration, an operator, the provider itself (SPEC.md §6.9). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { utf8 } from '#protocol/hash';
import { signCall } from '#protocol/provider-call';
import { baseUrl } from '#protocol/settings';
import { parseGatewayConfig } from '../../gateway/config.ts';
import { clock, signerOf, startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';

const REFUSED = [
  'file:///etc/passwd',
  'ftp://provider.example',
  'javascript:alert(1)',
  'data:application/json,{}',
  'ws://provider.example',
  '//provider.example',
  'provider.example',
  'http:provider.example',
  'http:///provider.example',
  'http://user@provider.example',
  'http://user:password@provider.example',
  'http://provider.example@169.254.169.254',
  'http://provider.example/#fragment',
  'http://provider.example#fragment',
  'http://provider.example?query',
  'http://provider.example/v1?query=1',
  'http://provider.example/',
  'http://provider.example//double',
  'http://provider.example/a/../admin',
  'http://provider.example/./a',
  'http://provider.example/%2e%2e/admin',
  'http://provider.example\\@evil.example',
  'http://provider.example:65536',
  'http://provider.example:',
  'http://provider.example:080',
  'http://2130706433',
  'http://0x7f000001',
  'http://0177.0.0.1',
  'http://127.1',
  'http://..',
  'http://pro vider.example',
  'http://provider.example\r\nx: y',
  'http://provider.example\t',
  'http://пример.example',
  ' http://provider.example',
  '',
];
const TAKEN = [
  'http://127.0.0.1:8181',
  'https://provider.example',
  'https://provider.example:443',
  'http://provider.example:80/base/v2',
  'http://Provider.Example',
  'http://localhost:65535',
];

let network: ToyNetwork;
const called: string[] = [];
beforeAll(async () => {
  network = await startToyNetwork({
    members: 1,
    wrap: (fetch) => (url, init) => {
      called.push(url);
      return fetch(url, init);
    },
  });
});
afterAll(() => network.stop());

test('what is a base URL is taken as it is written', () => {
  for (const url of TAKEN) expect(baseUrl(url)).toEqual({ value: url });
});

describe.each(REFUSED.map((url) => [url]))('%j', (url) => {
  test.each([
    // Blanks around the items of a list are no part of them.
    ...(url === url.trim() ? [['PROVIDERS', 'REFEREE']] : []),
    ['REFEREE', 'PROVIDERS'],
  ])('is refused by the configuration as %s, by name', (name, other) => {
    const env = {
      ASSAY_GATEWAY_MODEL_FOLDERS: '/model',
      [`ASSAY_GATEWAY_${name}`]: url,
      [`ASSAY_GATEWAY_${other}`]: 'http://127.0.0.1:1',
    };
    const result = parseGatewayConfig({ env, flags: {}, file: {} });
    expect(result.ok ? [] : result.problems).toHaveLength(1);
    if (!result.ok) expect(result.problems[0]).toContain(name);
  });

  test('is refused to an operator and to an applicant, and nobody is called', async () => {
    called.length = 0;
    const admitted = await network.admin('POST', '/providers', { url });
    expect([admitted.status, (admitted.body.error as { param: string }).param]).toEqual([400, 'url']);
    const path = '/v1/provider/application';
    const body = JSON.stringify({ url, operator: 'stranger' });
    const headers = signCall(
      { method: 'POST', path, body: utf8(body) },
      {
        domain: LOCAL_DOMAIN,
        signer: signerOf('stranger'),
        gateway: signerOf('gateway').address,
        nowMs: clock.nowMs(),
        rng: { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) },
      },
    );
    const applied = await network.call(path, { method: 'POST', headers, body });
    const { error } = (await applied.json()) as { error: { param: string } };
    expect([applied.status, error.param]).toEqual([400, 'url']);
    expect(called).toEqual([]);
  });
});

/** A request whose attestation could be longer than anybody reads is refused before anything is held (SPEC.md §10.1). */
import { expect, test } from 'vitest';
import { logSize } from '../../gateway/store/log-repo.ts';
import { requestsOfKey } from '../../gateway/store/requests-repo.ts';
import { API_KEY } from '../fixtures/network.ts';
import { startToyNetwork } from '../fixtures/toy-network.ts';
import { TOY_MODEL } from '../simulation/toy-machine.ts';

test('the refusal names the field, a quote says the same, and less of it is served', async () => {
  // A chunk a token: five seats seal and open each.
  const network = await startToyNetwork({ limits: { streamChunks: [1] } });
  try {
    const send = async (path: string, fields: object) => {
      const response = await network.call(path, {
        method: 'POST',
        headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          model: TOY_MODEL.id,
          messages: [{ role: 'user', content: 'Hi' }],
          verification: { mode: 'quorum', n: 5 },
          stream: true,
          ...fields,
        }),
      });
      const text = await response.text();
      const { error } = text.startsWith('{') ? (JSON.parse(text) as { error?: { code: string; param: string } }) : {};
      return { status: response.status, code: error?.code, param: error?.param };
    };
    const record = () =>
      network.store.read(async (handle) => [await logSize(handle), await requestsOfKey(handle, 'key-test', 10)]);
    // The first call begins an epoch, which is logged.
    await send('/v1/quote', { max_tokens: 4 });
    const before = await record();
    const refused = (param: string) => ({ status: 400, code: 'invalid_request', param });
    const long = TOY_MODEL.contextMax - 100;
    for (const path of ['/v1/chat/completions', '/v1/quote']) {
      expect(await send(path, { max_tokens: long })).toEqual(refused('max_tokens'));
      expect(await send(path, { max_tokens: long >> 1, n: 4 })).toEqual(refused('n'));
    }
    expect(await record()).toEqual(before);
    // In one piece it is one chunk.
    expect((await send('/v1/quote', { max_tokens: long, stream: false })).status).toBe(200);
    expect((await send('/v1/chat/completions', { max_tokens: 4 })).status).toBe(200);
  } finally {
    await network.stop();
  }
});

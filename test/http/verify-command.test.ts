/** The `assay verify` command on real answers: output, exit codes, the three forms of a saved answer (SPEC.md §10.4). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CliIo } from '../../gateway/cli/cli-io.ts';
import { runVerify } from '../../gateway/cli/verify.ts';
import type { SavedBody } from '../fixtures/forged-answer.ts';
import { API_KEY } from '../fixtures/network.ts';
import {
  type HttpAnswer,
  type HttpNetwork,
  loadMinnows,
  type Minnows,
  startHttpNetwork,
} from '../fixtures/network-http.ts';

const QUESTION = { temperature: 0, messages: [{ role: 'user', content: 'What is the capital of Norway?' }] };
const STREAMED = { ...QUESTION, model: 'minnow-5m', stream: true };

let minnows: Minnows;
let network: HttpNetwork;
let plain: HttpAnswer;
let stream: string;

beforeAll(async () => {
  minnows = await loadMinnows();
  network = await startHttpNetwork(minnows);
  plain = await network.ask(QUESTION);
  const response = await fetch(`${network.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(STREAMED),
  });
  stream = await response.text();
});

afterAll(async () => {
  await network.stop();
  await minnows.close();
});

describe('assay verify', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'assay-verify-'));
  const MODEL = fileURLToPath(new URL('../../provider/models/minnow/dist/minnow-5m', import.meta.url));
  afterAll(() => rmSync(folder, { recursive: true }));

  async function run(response: string, request: string, ...more: readonly string[]) {
    const files = { response: path.join(folder, 'response'), request: path.join(folder, 'request') };
    writeFileSync(files.response, response);
    writeFileSync(files.request, request);
    const printed: string[] = [];
    const failed: string[] = [];
    const io = {
      print: (line: string) => printed.push(line),
      fail: (line: string) => failed.push(line),
    } as unknown as CliIo;
    const code = await runVerify([files.response, '--request', files.request, '--model', MODEL, ...more], io);
    return { code, printed, failed };
  }

  test('prints every item and exits 0 for a body, for curl -i output and for a stream', async () => {
    const body = await run(plain.saved, plain.requestText);
    expect(body.code).toBe(0);
    expect(body.printed.some((line) => /^proved +answer-text/.test(line))).toBe(true);
    const curl = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nassay-verdict: agreed\r\n\r\n${plain.saved}`;
    expect((await run(curl, plain.requestText)).code).toBe(0);
    expect((await run(stream, JSON.stringify(STREAMED))).code).toBe(0);
  });

  test('names the failed item and exits 1', async () => {
    const changed = plain.saved.replace('Oslo', 'Osla');
    const { code, failed } = await run(changed, plain.requestText);
    expect(code).toBe(1);
    expect(failed.join()).toContain('content-hash');
  });

  test('--require fails on what was not pinned, and passes once it is', async () => {
    const asked = JSON.stringify({ ...JSON.parse(plain.requestText) });
    const unpinned = await run(plain.saved, asked, '--require');
    expect(unpinned.code).toBe(1);
    expect(unpinned.failed.join()).toContain('gateway-key');
    const answer = await network.ask({ ...QUESTION, verification: 'quorum; n=3' });
    const { ed25519, origin } = (JSON.parse(answer.saved) as SavedBody).assay.log;
    const keys = ['--gateway-key', network.gatewaySigner.address, '--log-key', ed25519, '--log-origin', origin];
    const pinned = await run(answer.saved, answer.requestText, ...keys);
    expect(pinned.failed).toEqual([]);
    expect(pinned.code).toBe(0);
  });

  test('exits 2 for a file that is not there and for a flag that does not exist', async () => {
    expect((await run(plain.saved, plain.requestText, '--receipt', path.join(folder, 'none'))).code).toBe(2);
    expect((await run(plain.saved, plain.requestText, '--force')).code).toBe(2);
  });

  test('says so of a response that is no answer', async () => {
    const { code, failed } = await run('hello', plain.requestText);
    expect(code).toBe(1);
    expect(failed.join()).toContain('response');
  });
});

/** `@huggingface/transformers` on the same weights, in a process of its own; runs inside the folder that it is installed in. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [modelFolder, installFolder, threads] = process.argv.slice(2);
const entry = createRequire(path.join(installFolder, 'package.json')).resolve('@huggingface/transformers');
const { AutoModelForCausalLM, env, Tensor } = await import(pathToFileURL(entry).href);
env.allowRemoteModels = false;
env.localModelPath = path.dirname(modelFolder);
const session = threads === 'all' ? {} : { intraOpNumThreads: 1, interOpNumThreads: 1 };
const model = await AutoModelForCausalLM.from_pretrained(path.basename(modelFolder), {
  dtype: 'fp32',
  device: 'cpu',
  session_options: session,
});

/** Jobs at the same time: as one batch of equal prompts, which is the best that this library has for them. */
process.on('message', async ({ promptIds, jobs, maxTokens, temperature }) => {
  const values = Array.from({ length: jobs }, () => promptIds).flat();
  const shape = [jobs, promptIds.length];
  const ids = new Tensor('int64', BigInt64Array.from(values, BigInt), shape);
  const mask = new Tensor('int64', new BigInt64Array(values.length).fill(1n), shape);
  const before = process.cpuUsage();
  const begun = performance.now();
  const output = await model.generate({
    input_ids: ids,
    attention_mask: mask,
    max_new_tokens: maxTokens,
    min_new_tokens: maxTokens,
    do_sample: temperature > 0,
    temperature: temperature > 0 ? temperature : undefined,
    top_k: 0,
  });
  const wallMs = performance.now() - begun;
  const { user, system } = process.cpuUsage(before);
  process.send({ tokens: jobs * (output.dims[1] - promptIds.length), wallMs, cpuMs: (user + system) / 1000 });
});
process.send('ready');

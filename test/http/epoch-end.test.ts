/** Draw keys that run out while many requests arrive: the next epoch begins once, and nobody is refused. */
import { expect, test } from 'vitest';
import { listEpochs } from '../../gateway/store/epochs-repo.ts';
import { startToyNetwork } from '../fixtures/toy-network.ts';

test('requests that arrive together are all answered although their epoch has keys for a few of them', async () => {
  const network = await startToyNetwork({ limits: { epochSize: EPOCH_SIZE } });
  try {
    const answers = await Promise.all(Array.from({ length: REQUESTS }, (_, i) => network.ask(`Question ${i}`)));
    expect(answers).toHaveLength(REQUESTS);
    const epochs = await network.store.read((handle) => listEpochs(handle, REQUESTS));
    expect(epochs).toHaveLength(Math.ceil(REQUESTS / EPOCH_SIZE));
  } finally {
    await network.stop();
  }
});

const EPOCH_SIZE = 4;
const REQUESTS = 24;

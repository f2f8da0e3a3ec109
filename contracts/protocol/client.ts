/** What `assay/client` gives a client's program, in a browser too: answers that are verified as they come (SPEC.md §10.4), webhooks that are checked (§10.6). */
export { createVerifyingFetch, VerificationError, type VerifyingFetchOptions } from './verifying-fetch.ts';
export { checkWebhook, type WebhookCheck, type WebhookHeaders } from './webhook.ts';

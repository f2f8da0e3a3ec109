/** `GET /v1/models` and `GET /v1/models/{id}`. */
import type { GatewayContext } from '../http/context.ts';
import type { ModelRegistry } from './answer.ts';
import { modelNotFound } from './chat-request.ts';
import { modelBody } from './render.ts';

export function listModels(models: ModelRegistry): (c: GatewayContext) => Response {
  return (c) => c.json({ object: 'list', data: models.list().map(modelBody) });
}

/** @throws {ProtocolError} `model_not_found` */
export function retrieveModel(models: ModelRegistry): (c: GatewayContext) => Response {
  return (c) => {
    // Ids such as `org/model` hold a slash; SDKs escape it, curl users do not.
    const id = c.req.param('id') ?? '';
    const model = models.find(id);
    if (model === null) throw modelNotFound(id);
    return c.json(modelBody(model));
  };
}

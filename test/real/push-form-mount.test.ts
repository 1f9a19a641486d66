import { describe, expect, test } from 'vitest';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import { basic, call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import { connectorTo, startProxy } from '../support/proxy.ts';
import { startRegistry } from './support/distribution.ts';
import { requireParts } from './support/parts.ts';

const credential = { username: 'robot', password: 'correct horse' };
const secret = Buffer.from('of another team');
const digest = digestOf(secret);
const part = (name: string, value: string): string =>
  `--x\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const forms = [
  ['application/x-www-form-urlencoded', `mount=${digest}&from=other/secret`],
  ['multipart/form-data; boundary=x', `${part('mount', digest)}${part('from', 'other/secret')}--x--\r\n`],
] as const;

// They look for `mount` and `from` in the query, and in forms as well.
describe.each(['registry', 'docker-registry'] as const)('with %s', (registryPart) => {
  requireParts(registryPart)('a mount in a form', () => {
    test.each(forms)('of type %s is none: it would be one from outside of the connector’s path', async (type, body) => {
      await using parts = new AsyncDisposableStack();
      const registry = await startRegistry(registryPart, { access: { basic: credential } });
      parts.defer(() => registry.stop());
      const authorization = basic(credential.username, credential.password);
      const uploads = (repository: string) => `${registry.origin}/v2/${repository}/blobs/uploads/`;
      const begun = await call(uploads('other/secret'), { method: 'POST', headers: authorization });
      const location = `${begun.headers.location}&digest=${digest}`;
      const headers = { ...authorization, 'content-type': 'application/octet-stream' };
      expect((await call(location, { method: 'PUT', body: secret, headers })).status).toBe(201);
      // It works where nobody is in between.
      const asForm = { method: 'POST', body, headers: { ...authorization, 'content-type': type } };
      expect((await call(uploads('other/mine'), asForm)).status).toBe(201);

      const documents = connectorTo(`${registry.origin}/team`, credential);
      const proxy = parts.use(await startProxy({ documents, sealing: ephemeralSealingKeys() }));
      const mounted = { method: 'POST', body, headers: { 'content-type': type } };
      expect((await call(proxy.url('team/mine/blobs/uploads/'), mounted)).status).toBe(202);
      expect((await call(proxy.url(`team/mine/blobs/${digest}`))).status).toBe(404);
    });
  });
});

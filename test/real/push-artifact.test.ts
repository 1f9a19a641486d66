import { expect, test } from 'vitest';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import { call } from '../support/call.ts';
import { makeImage, makeReferrer } from '../support/image.ts';
import { connectorTo, startProxy } from '../support/proxy.ts';
import { startRegistry } from '../support/registry.ts';
import { makeClientHome } from './support/clients.ts';
import { requireParts } from './support/parts.ts';
import { pushContent } from './support/seed.ts';

const image = makeImage({ seed: 'artifact' });
const artifactType = 'application/vnd.example.signature';
const signature = makeReferrer(image, { artifactType });

requireParts('crane')('a registry that serves referrers', () => {
  const login = { username: 'robot', password: 'canary/of the registry' };

  test('crane pushes an artifact without a tag of its own, and it is listed among the referrers', async () => {
    await using parts = new AsyncDisposableStack();
    const registry = parts.use(await startRegistry({ auth: { kind: 'token', ...login } }));
    const documents = connectorTo(registry.origin, login);
    const proxy = parts.use(await startProxy({ documents, sealing: ephemeralSealingKeys() }));
    const client = await makeClientHome();
    parts.defer(() => client.close());
    const name = `127.0.0.1:${proxy.port}/namespaces/demo/connectors/registry/team/app`;
    await pushContent(client, image, `${name}:v1`);
    await pushContent(client, signature, `${name}@${signature.digest}`);
    expect(registry.contents('team/app')).toMatchObject({
      tags: { v1: image.digest },
      manifests: [image.digest, signature.digest],
    });

    const query = `?artifactType=${encodeURIComponent(artifactType)}`;
    const listed = await call(proxy.url(`team/app/referrers/${image.digest}${query}`));
    expect(listed.headers['oci-filters-applied']).toBe('artifactType');
    expect(JSON.parse(listed.body.toString()).manifests).toMatchObject([{ digest: signature.digest, artifactType }]);
    const manifest = signature.manifests.get(signature.digest);
    const again = await call(proxy.url(`team/app/manifests/${signature.digest}`), {
      method: 'PUT',
      headers: { 'content-type': signature.mediaType },
      body: manifest?.bytes ?? '',
    });
    expect([again.status, again.headers['oci-subject']]).toEqual([201, image.digest]);
  });
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeImage } from '../support/image.ts';
import type { ClientHome } from './support/clients.ts';
import { requireParts } from './support/parts.ts';
import { openPushScene, type PushScene, reader } from './support/push-scene.ts';
import { pushContent } from './support/seed.ts';

const image = makeImage({ seed: 'rights' });

requireParts(
  'docker-registry',
  'crane',
  'skopeo',
  'unshare',
  'mount',
)('a caller', () => {
  let scene: PushScene;
  let client: ClientHome;
  const name = (repository: string) => scene.image('path form', repository);

  beforeAll(async () => {
    scene = await openPushScene('docker-registry');
    await pushContent(await scene.makeClient(), image, name('team/app:v1'));
    client = await scene.makeClient({ as: reader });
  });
  afterAll(() => scene?.close());

  test('who may pull only pulls', async () => {
    expect((await client.mustRun('crane', ['digest', name('team/app:v1')])).trim()).toBe(image.digest);
  });

  test.each([
    ['a push of crane', 'push', 'crane', () => ['copy', name('team/app:v1'), name('team/stolen:v1')]],
    ['a tag of crane', 'push', 'crane', () => ['tag', name('team/app:v1'), 'v2']],
    ['a deletion of crane', 'delete', 'crane', () => ['delete', name(`team/app@${image.digest}`)]],
    [
      'a copy of skopeo',
      'push',
      'skopeo',
      () => {
        const flags = ['--src-tls-verify=false', '--dest-tls-verify=false'];
        return ['copy', ...flags, `docker://${name('team/app:v1')}`, `docker://${name('team/stolen:v1')}`];
      },
    ],
  ] as const)(
    'who may pull only is refused %s, and the registry hears nothing of it',
    async (_, action, part, args) => {
      const before = (await scene.registry.requests()).length;
      const { code, stderr } = await client.run(part, args());
      expect(code).not.toBe(0);
      expect(stderr).toMatch(new RegExp(`reader may not ${action}`));
      const requests = (await scene.registry.requests()).slice(before);
      expect(requests.filter(({ method }) => method !== 'GET' && method !== 'HEAD')).toEqual([]);
      expect((await scene.stored.call('team/app', 'tags/list')).body.toString()).toContain('"tags":["v1"]');
      expect((await scene.stored.call('team/stolen', 'tags/list')).status).toBe(404);
    },
  );

  // crane keeps what it is given without asking.
  const logins = [
    ['skopeo', ['login', '--tls-verify=false']],
    ['helm', ['registry', 'login', '--plain-http']],
  ] as const;

  test.each(logins)('logs in with %s, by a token that is known', async (part, command) => {
    const home = await scene.makeClient({ as: 'nobody' });
    const login = (password: string) =>
      home.run(part, [...command, '--username', reader.username, '--password', password, scene.host('path form')]);
    const refused = await login('a token that nobody has');
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/UNAUTHORIZED|unauthorized|invalid username/),
    ]);
    expect(await login(reader.password)).toMatchObject({ code: 0 });
  });
});

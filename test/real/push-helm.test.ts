import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { digestOf } from '../support/digest.ts';
import type { ClientHome } from './support/clients.ts';
import { describePushes } from './support/push-suite.ts';

const chart = { apiVersion: 'v2', name: 'greeting', version: '1.2.3' };
const template = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'greeting' }, data: { text: 'hello' } };

describePushes('helm', ['helm'], ({ form, scene }) => {
  let client: ClientHome;
  const at = form === 'path form' ? 'by-path' : 'by-host';
  const repository = () => `oci://${scene().image(form, at)}`;
  const helm = (...args: string[]) => client.mustRun('helm', args);

  beforeAll(async () => {
    client = await scene().makeClient();
  });

  test('it pushes a chart and pulls it again', async () => {
    const source = join(client.folder, 'greeting');
    const archive = join(client.folder, 'greeting-1.2.3.tgz');
    const target = join(client.folder, 'pulled');
    await mkdir(join(source, 'templates'), { recursive: true });
    await writeFile(join(source, 'Chart.yaml'), JSON.stringify(chart));
    await writeFile(join(source, 'templates/greeting.yaml'), JSON.stringify(template));
    await helm('package', source, '--destination', client.folder);
    await helm('push', archive, repository(), '--plain-http');
    const { digests } = await scene().stored.readWhole(`${at}/greeting`, '1.2.3');
    expect(digests).toContain(digestOf(await readFile(archive)));
    await helm('pull', `${repository()}/greeting`, '--version=1.2.3', '--plain-http', '--untar', '--untardir', target);
    expect(JSON.parse(await readFile(join(target, 'greeting/templates/greeting.yaml'), 'utf8'))).toEqual(template);
  });
});

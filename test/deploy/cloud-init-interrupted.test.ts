import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeNodeFiles, type NodeFiles } from './support/node-files.ts';

const defaults = '/etc/default/kubelet';
const install = ['--no-oke'];
const uninstall = ['--uninstall'];

async function makeNode(): Promise<NodeFiles> {
  const node = await makeNodeFiles();
  await node.write(
    '/etc/systemd/system/kubelet.service',
    `[Service]\nEnvironmentFile=-${defaults}\nExecStart=/usr/bin/kubelet $KUBELET_EXTRA_ARGS\n`,
  );
  await node.write(defaults, 'KUBELET_EXTRA_ARGS="--v=4"\n');
  await node.setActive('kubelet', true);
  return node;
}

/** Kills the whole run, once, before or behind the move of a file to its place, of which there are four. */
const killAtMove = (node: NodeFiles, count: number, when: 'before' | 'behind') =>
  node.fake(
    'mv',
    `#!/bin/bash
[[ $* == *.oci-connector\\ * && ! -e $FAKES/killed ]] || exec /bin/mv "$@"
echo >>"$FAKES/moves"
(($(wc -l <"$FAKES/moves") == ${count})) || exec /bin/mv "$@"
touch "$FAKES/killed"
[[ ${when} == before ]] || /bin/mv "$@"
kill -KILL 0
`,
  );

/** Kills the whole run, once, when it restarts the kubelet. */
const killAtRestart = (node: NodeFiles) =>
  node.fake('before-restart', '#!/bin/bash\nrm "$FAKES/before-restart"\nkill -KILL 0\n');

const moves = ([1, 2, 3, 4] as const).flatMap((count) =>
  (['before', 'behind'] as const).map((when) => ({ count, when })),
);

describe('an installation that is killed', () => {
  test.each(moves)('$when file $count can be uninstalled', async ({ count, when }) => {
    await using node = await makeNode();
    const before = await node.snapshot();
    await killAtMove(node, count, when);
    await expect(node.interrupted(install)).rejects.toThrow('SIGKILL');
    expect(await node.snapshot()).not.toEqual(before);
    expect(await node.install(uninstall)).toMatchObject({ code: 0 });
    expect(await node.snapshot()).toEqual(before);
  });

  test.each(moves)(
    '$when file $count is finished by the next run, which can be uninstalled',
    async ({ count, when }) => {
      await using node = await makeNode();
      const before = await node.snapshot();
      await killAtMove(node, count, when);
      await expect(node.interrupted(install)).rejects.toThrow('SIGKILL');
      expect(await node.install(install)).toMatchObject({ code: 0 });
      expect(await node.read(defaults)).toContain('credential-provider');
      expect(await node.services()).toEqual(['restart kubelet']);
      expect(await node.install(uninstall)).toMatchObject({ code: 0 });
      expect(await node.snapshot()).toEqual(before);
    },
  );

  test('before the restart is finished by the next run, and only by that', async () => {
    await using node = await makeNode();
    await killAtRestart(node);
    await expect(node.interrupted(install)).rejects.toThrow('SIGKILL');
    expect(await node.services()).toEqual([]);
    for (const _ of [1, 2]) {
      expect(await node.install(install)).toMatchObject({ code: 0 });
      expect(await node.services()).toEqual(['restart kubelet']);
    }
  });

  test('is taken back by the next run where the kubelet does not come back', async () => {
    await using node = await makeNode();
    const before = await node.snapshot();
    await killAtRestart(node);
    await expect(node.interrupted(install)).rejects.toThrow('SIGKILL');
    await node.refuseOurFlags();
    expect(await node.install(install)).toMatchObject({ code: 1 });
    expect(await node.snapshot()).toEqual(before);
    expect(await node.services()).toEqual(['restart kubelet', 'restart kubelet']);
  });

  test('stays for the next run where one between cannot download', async () => {
    await using node = await makeNode();
    await killAtRestart(node);
    await expect(node.interrupted(install)).rejects.toThrow('SIGKILL');
    const killed = await node.snapshot();
    const failed = await node.install(install, { OCI_CONNECTOR_SHA256_AMD64: '0'.repeat(64) });
    expect(failed).toMatchObject({ code: 1 });
    expect(await node.snapshot()).toEqual(killed);
    expect(await node.install(install)).toMatchObject({ code: 0 });
    expect(await node.services()).toEqual(['restart kubelet']);
  });

  test('by SIGTERM still takes everything back where the kubelet does not come back', async () => {
    await using node = await makeNode();
    const before = await node.snapshot();
    await node.refuseOurFlags();
    const temporary = join(node.environment['FAKES'] ?? '', 'temporary');
    await node.write('/../fakes/temporary/here', '');
    // The shell of the script alone gets it, and its temporary files are gone before the kubelet is restarted.
    await node.fake(
      'before-restart',
      '#!/bin/bash\nrm "$FAKES/before-restart"\nread -r _ _ _ _ group _ <"/proc/$$/stat"\nkill -TERM "$group"\n' +
        'for ((i = 0; i < 500; i++)); do compgen -G "$TMPDIR/tmp.*" >/dev/null || exit; /bin/sleep 0.02; done\n',
    );
    await expect(node.interrupted(install, { TMPDIR: temporary })).rejects.toThrow('SIGTERM');
    expect(await readdir(temporary)).toEqual(['here']);
    expect(await node.snapshot()).toEqual(before);
    expect(await node.services()).toEqual(['restart kubelet', 'restart kubelet']);
  });
});

describe('an uninstallation that is killed', () => {
  test('before the restart is finished by the next one', async () => {
    await using node = await makeNode();
    const before = await node.snapshot();
    await node.install(install);
    await killAtRestart(node);
    await expect(node.interrupted(uninstall)).rejects.toThrow('SIGKILL');
    expect(await node.install(uninstall)).toMatchObject({ code: 0 });
    expect(await node.snapshot()).toEqual(before);
    expect(await node.services()).toEqual(['restart kubelet', 'daemon-reload', 'daemon-reload', 'restart kubelet']);
  });

  test('with flags that somebody has changed is finished by the next one', async () => {
    await using node = await makeNode();
    await node.install(install);
    const changed = (await node.read(defaults)).replace('--v=4', '--v=5');
    await node.write(defaults, changed);
    await killAtRestart(node);
    await expect(node.interrupted(uninstall)).rejects.toThrow('SIGKILL');
    expect(await node.install(uninstall)).toMatchObject({ code: 0 });
    expect(await node.read(defaults)).toBe('KUBELET_EXTRA_ARGS="--v=5"\n');
  });

  test('leaves the node to an installation that can be taken back', async () => {
    await using node = await makeNode();
    const before = await node.snapshot();
    await node.install(install);
    await killAtRestart(node);
    await expect(node.interrupted(uninstall)).rejects.toThrow('SIGKILL');
    expect(await node.install(install)).toMatchObject({ code: 0 });
    expect(await node.read(defaults)).toContain('credential-provider');
    expect(await node.install(uninstall)).toMatchObject({ code: 0 });
    expect(await node.snapshot()).toEqual(before);
  });

  test('waits for its turn to restart before it removes the first file', async () => {
    await using node = await makeNode();
    await node.install(install);
    const installed = await node.snapshot();
    await node.fake('sleep', '#!/bin/bash\nkill -KILL 0\n');
    await expect(node.interrupted(uninstall, { OCI_CONNECTOR_JITTER_SECONDS: '60' })).rejects.toThrow('SIGKILL');
    expect(await node.snapshot()).toEqual(installed);
  });
});

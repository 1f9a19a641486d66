import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildImage } from '../../deploy/image/build.ts';
import { type Containerd, startContainerd } from '../real/support/containerd.ts';
import { partPath } from '../real/support/find-part.ts';
import { requireParts } from '../real/support/parts.ts';
import { runProgram } from '../real/support/program.ts';

const name = 'localhost/oci-connector:test';
const parts = ['buildah', 'debootstrap', 'skopeo', 'containerd', 'ctr', 'runc', 'unshare'] as const;

// Building an image takes what only root has.
const isRoot = process.getuid?.() === 0;
const suite = isRoot ? requireParts(...parts) : describe.skip;

suite('the image', () => {
  let folder: string;
  let archive: string;
  let containerd: Containerd;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'image-'));
    archive = join(folder, 'image.tar');
    await buildImage({ name, output: archive });
    containerd = await startContainerd();
  }, 300_000);

  afterAll(async () => {
    await containerd?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const inspect = async () => {
    const { stdout } = await runProgram(partPath('skopeo'), ['inspect', '--config', `oci-archive:${archive}`], {
      env: {},
    });
    return JSON.parse(stdout);
  };

  test('is taken by containerd under its name, and small', async () => {
    const { code, stderr } = await containerd.ctr('-n', 'k8s.io', 'images', 'import', '--no-unpack', archive);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { stdout: sizes } = await containerd.ctr('-n', 'k8s.io', 'images', 'ls');
    expect(sizes).toContain(`${name} `);
    expect(Number(/ ([\d.]+) MiB /.exec(sizes)?.[1])).toBeLessThan(80);
  });

  test('runs the program as nobody in particular', async () => {
    const { config } = await inspect();
    expect(config).toMatchObject({
      User: '65532:65532',
      Entrypoint: ['/usr/local/bin/node', '/opt/oci-connector/main.js'],
      WorkingDir: '/',
    });
    expect(config.Env).toContain('PATH=/opt/oci-connector/bin:/usr/local/bin:/usr/bin:/bin');
  });

  test('has its commands on its path, no shell, no package manager, and no name of a mirror', async () => {
    const root = join(folder, 'root');
    const layout = join(folder, 'layout');
    await runProgram(partPath('skopeo'), ['copy', '-q', `oci-archive:${archive}`, `dir:${layout}`], { env: {} });
    const { layers } = JSON.parse(await readFile(join(layout, 'manifest.json'), 'utf8'));
    await mkdir(root);
    for (const { digest } of layers) {
      await runProgram('/bin/tar', ['-C', root, '-xf', join(layout, digest.replace('sha256:', ''))], { env: {} });
    }
    const inImage = (program: string, ...args: string[]) =>
      runProgram('/usr/sbin/chroot', ['--userspec=65532:65532', root, program, ...args], { env: {} });
    expect(await inImage('/opt/oci-connector/bin/oci-connector', '--help')).toMatchObject({ code: 0, stderr: '' });
    expect(await inImage('/opt/oci-connector/bin/oci-connector-probe', '--socket', '/none')).toMatchObject({ code: 1 });
    for (const program of ['mount', 'umount']) {
      expect(await inImage(program, '--version')).toMatchObject({ code: 0, stderr: '' });
    }
    const programs = (
      await Promise.all(['bin', 'usr/bin', 'sbin', 'usr/sbin'].map((path) => readdir(join(root, path)).catch(() => [])))
    ).flat();
    expect(programs.sort()).toEqual(['mount', 'umount']);
    const files = await readdir(root, { recursive: true, withFileTypes: true });
    const modes = files.filter((file) => file.isFile()).map((file) => stat(join(file.parentPath, file.name)));
    expect((await Promise.all(modes)).filter(({ mode }) => (mode & 0o6000) !== 0)).toEqual([]);
    const logs = await readdir(join(root, 'var/log'));
    expect(logs).toEqual([]);
    expect(await readdir(join(root, 'etc'))).not.toContain('apt');
  });
});

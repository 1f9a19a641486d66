import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { run } from './run.ts';

const packageScript = join(import.meta.dirname, 'base-packages');

/** The archive of the machine's own apt sources, so that one setting chooses the mirror for both. */
interface DebianArchive {
  readonly url: string;
  /** Code name of the release: `bookworm`. */
  readonly suite: string;
}

/** The archive that apt asks first for `main`. */
async function findDebianArchive(): Promise<DebianArchive> {
  const format = '$(REPO_URI) $(CODENAME) $(COMPONENT)';
  const targets = await run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages']);
  const found = targets
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, suite = '-', component]) => component === 'main' && !suite.includes('-'));
  const [url, suite] = found ?? [];
  if (url === undefined || suite === undefined) throw new Error('apt has no Debian archive with the component main');
  return { url: url.replace(/\/$/, ''), suite };
}

/**
 * The root of a base image: Debian's libraries and `node`. It is made once for what it is made of, and kept in `cache`.
 * Resolves with its folder.
 */
export async function buildBase(node: string, cache: string): Promise<string> {
  const archive = await findDebianArchive();
  const hash = createHash('sha256').update(JSON.stringify(archive));
  for (const file of [packageScript, import.meta.filename]) hash.update(await readFile(file));
  hash.update(await run(node, ['--version']));
  const folder = join(cache, `base-${process.arch}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  await rm(unfinished, { recursive: true, force: true });
  await run('debootstrap', ['--variant=-', archive.suite, unfinished, archive.url, packageScript]);
  // debootstrap's log names the mirror.
  await rm(join(unfinished, 'var/log/bootstrap.log'), { force: true });
  await addNode(unfinished, node);
  await addUser(unfinished);
  // Somebody else may have been faster.
  await rename(unfinished, folder).catch(async (error) => {
    if (!existsSync(folder)) throw error;
    await rm(unfinished, { recursive: true, force: true });
  });
  return folder;
}

async function addNode(root: string, node: string): Promise<void> {
  const target = join(root, 'usr/local/bin', basename(node));
  await mkdir(join(root, 'usr/local/bin'), { recursive: true });
  await copyFile(node, target);
  // Its symbols are a tenth of the image, and serve nobody without a debugger.
  await run('strip', [target]).catch(() => undefined);
  await chmod(target, 0o755);
}

/** The names of the user that the image runs as; numbers would do, but programs ask. */
async function addUser(root: string): Promise<void> {
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n',
  );
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnonroot:x:65532:\n');
}

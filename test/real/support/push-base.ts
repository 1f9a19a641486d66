import { readFile } from 'node:fs/promises';
import { type Image, makeImage } from '../../support/image.ts';
import type { ClientHome } from './clients.ts';
import { partPath } from './find-part.ts';
import { pushContent } from './seed.ts';

/** Pushes an image to build upon, with a shell in it. Needs the parts `crane` and `busybox`. */
export async function pushBase(home: ClientHome, reference: string): Promise<Image> {
  const shell = { path: 'bin/sh', bytes: await readFile(partPath('busybox')), mode: 0o755 };
  const image = makeImage({
    layers: 1,
    seed: 'base',
    files: [shell],
    runtimeConfig: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] },
  });
  await pushContent(home, image, reference);
  return image;
}

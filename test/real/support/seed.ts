import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { OciContent } from '../../support/image.ts';
import type { ClientHome } from './clients.ts';
import { writeOciLayout } from './oci-layout.ts';

/** Pushes an image, index or artifact to `reference` with crane and what credentials `home` holds. */
export async function pushContent(
  home: ClientHome,
  content: OciContent,
  reference: string,
  flags: readonly string[] = [],
): Promise<void> {
  const layout = await mkdtemp(join(home.folder, 'layout-'));
  try {
    await writeOciLayout(layout, content, 'seed');
    // The layout's own index holds the content as its one entry; crane pushes that entry, not the index around it.
    await home.mustRun('crane', ['push', ...flags, layout, reference]);
  } finally {
    await rm(layout, { recursive: true });
  }
}

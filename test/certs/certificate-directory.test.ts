import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { certificateDirectory } from '../../certs/certificate-directory.ts';
import { describeCertificateStore } from './certificate-store-contract.ts';
import { temporaryDirectory } from './temporary-directory.ts';

describe('a directory for a certificate', () => {
  describeCertificateStore(async () => {
    const directory = join(await temporaryDirectory(), 'certs');
    return { store: certificateDirectory(directory), again: () => certificateDirectory(directory) };
  });

  it('holds the bundle as a file for clients', async () => {
    const directory = await temporaryDirectory();
    await certificateDirectory(directory).writeBundle('bundle');
    expect(await readdir(directory)).toEqual(['ca.crt']);
    expect(await readFile(join(directory, 'ca.crt'), 'utf8')).toBe('bundle');
  });
});

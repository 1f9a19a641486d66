import { expect, it } from 'vitest';
import type { CertificateStore } from '../../certs/certificate-store.ts';

/** What every store of a certificate does. `open` gives a store over one empty place, anew for each test; `again` another over the same. */
export function describeCertificateStore(
  open: () => Promise<{ readonly store: CertificateStore; readonly again: () => CertificateStore }>,
): void {
  const pair = (name: string) => ({ key: `key ${name}\n`, cert: `certificate ${name}\n` });

  it('is empty at first, and then holds what was written, for every process', async () => {
    const { store, again } = await open();
    await store.open();
    expect([await store.authority.read(), await store.readPair()]).toEqual([undefined, undefined]);
    await store.authority.write('authority', undefined);
    await store.writeBundle('bundle');
    await store.writePair(pair('1'), undefined);
    await store.writePair(pair('2'), pair('1'));
    const other = again();
    await other.open();
    expect([await other.authority.read(), await other.readPair()]).toEqual(['authority', pair('2')]);
  });

  it('keeps the authority that another process was faster to write', async () => {
    const { store, again } = await open();
    await store.open();
    await again().authority.write('first', undefined);
    await store.authority.write('second', undefined);
    expect(await store.authority.read()).toBe('first');
    await store.authority.write('third', 'first');
    expect(await store.authority.read()).toBe('third');
  });

  it('takes the same bundle and other bundles again', async () => {
    const { store } = await open();
    await store.open();
    for (const bundle of ['one', 'one', 'two']) await store.writeBundle(bundle);
    expect(await store.readPair()).toBeUndefined();
  });

  it('says where it is', async () => {
    const { store } = await open();
    expect(store.location).toContain('tls.crt');
    expect(store.authority.location).toContain('ca.pem');
  });
}

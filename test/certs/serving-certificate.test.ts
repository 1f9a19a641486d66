import { execFile } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openServingCertificate, type ServingCertificateOptions } from '../../certs/serving-certificate.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const DAY_MS = 24 * 60 * 60_000;
const start = Date.UTC(2026, 0, 1);
const names = ['localhost', 'webhook.oci.svc', '127.0.0.1', '::1'];

/** Opens the certificate of `directory`, closed with the test; its clock stands at `start`. */
async function open(directory: string, options: Partial<ServingCertificateOptions> = {}) {
  const fail = (error: unknown) => expect.unreachable(String(error));
  const certificate = await openServingCertificate({ directory, names, now: () => start, onError: fail, ...options });
  onTestFinished(() => certificate.close());
  return certificate;
}

const serial = (certificate: { current: { cert: string } }) =>
  new X509Certificate(certificate.current.cert).serialNumber;
const read = (directory: string, name: string) => readFile(join(directory, name), 'utf8');
const mode = async (path: string) => (await stat(path)).mode & 0o777;

async function expectMatchingFiles(directory: string) {
  const certificate = new X509Certificate(await read(directory, 'tls.crt'));
  const ca = new X509Certificate(await read(directory, 'ca.crt'));
  expect(certificate.checkPrivateKey(createPrivateKey(await read(directory, 'tls.key')))).toBe(true);
  expect(certificate.verify(ca.publicKey)).toBe(true);
}

describe('a serving certificate', () => {
  it('is kept with its authority in four files that only the owner can read', async () => {
    const directory = join(await temporaryDirectory(), 'new', 'certs');
    const certificate = await open(directory);
    expect((await readdir(directory)).sort()).toEqual(['ca.crt', 'ca.pem', 'tls.crt', 'tls.key']);
    expect(await mode(directory)).toBe(0o700);
    for (const name of await readdir(directory)) expect(await mode(join(directory, name))).toBe(0o600);
    expect(certificate.current).toEqual({
      key: await read(directory, 'tls.key'),
      cert: await read(directory, 'tls.crt'),
    });
    expect(certificate.caBundle).toBe(await read(directory, 'ca.crt'));
    await expectMatchingFiles(directory);
  });

  it('closes a directory and files that were open to others', async () => {
    const directory = await temporaryDirectory();
    await open(directory);
    await chmod(directory, 0o755);
    for (const name of await readdir(directory)) await chmod(join(directory, name), 0o644);
    await open(directory);
    expect(await mode(directory)).toBe(0o700);
    for (const name of await readdir(directory)) expect(await mode(join(directory, name))).toBe(0o600);
  });

  it('does not close a directory that holds what is not its own', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'other'), '');
    await chmod(directory, 0o755);
    await open(directory);
    expect(await mode(directory)).toBe(0o755);
    expect(await mode(join(directory, 'tls.key'))).toBe(0o600);
  });

  it('does not close a directory that is shared on purpose', async () => {
    const directory = await temporaryDirectory();
    await chmod(directory, 0o1777);
    await open(directory);
    expect((await stat(directory)).mode & 0o7777).toBe(0o1777);
  });

  it('is reused when it is opened again', async () => {
    const directory = await temporaryDirectory();
    const first = await open(directory);
    const second = await open(directory);
    expect(second.current).toEqual(first.current);
    expect(second.caBundle).toBe(first.caBundle);
  });

  it.each([
    { wanted: ['localhost'], reused: true },
    { wanted: ['LOCALHOST', '0:0:0:0:0:0:0:1'], reused: true },
    { wanted: [...names, 'other.oci.svc'], reused: false },
    { wanted: [...names, '127.0.0.2'], reused: false },
    { wanted: ['oci-connector'], reused: false },
  ])('reused for $wanted: $reused', async ({ wanted, reused }) => {
    const directory = await temporaryDirectory();
    const first = await open(directory);
    const second = await open(directory, { names: wanted });
    expect(serial(second) === serial(first)).toBe(reused);
    expect(second.caBundle).toBe(first.caBundle);
  });

  it.each([
    { when: '59 days later', days: 59, reused: true },
    { when: 'past two thirds of its life', days: 60, reused: false },
    { when: 'expired', days: 100, reused: false },
    { when: 'not valid yet', days: -1, reused: false },
  ])('reused when it is $when: $reused', async ({ days, reused }) => {
    const directory = await temporaryDirectory();
    const first = await open(directory);
    const second = await open(directory, { now: () => start + days * DAY_MS });
    expect(serial(second) === serial(first)).toBe(reused);
    expect(second.caBundle).toBe(first.caBundle);
  });

  it.each<[string, (directory: string, stranger: string) => Promise<void>]>([
    ['tls.key is missing', (directory) => rm(join(directory, 'tls.key'))],
    ['tls.crt is missing', (directory) => rm(join(directory, 'tls.crt'))],
    ['tls.key is cut off', (directory) => writeFile(join(directory, 'tls.key'), '-----BEGIN PRIVATE KEY-----\nMI')],
    ['tls.crt is empty', (directory) => writeFile(join(directory, 'tls.crt'), '')],
    ['tls.crt has something after it', (directory) => writeFile(join(directory, 'tls.crt'), 'x', { flag: 'a' })],
    ['the key is of another certificate', (directory, other) => copy('tls.key', other, directory)],
    ['the certificate is of another key', (directory, other) => copy('tls.crt', other, directory)],
    [
      'the pair is of another authority',
      async (directory, other) => {
        await copy('tls.crt', other, directory);
        await copy('tls.key', other, directory);
      },
    ],
  ])('is issued again when %s', async (_, damage) => {
    const [directory, stranger] = [await temporaryDirectory(), await temporaryDirectory()];
    const [first, other] = [await open(directory), await open(stranger)];
    await damage(directory, stranger);
    const second = await open(directory);
    expect([serial(first), serial(other)]).not.toContain(serial(second));
    expect(second.caBundle).toBe(first.caBundle);
    await expectMatchingFiles(directory);
  });

  it('passes over temporary files and restores a missing ca.crt after a crash', async () => {
    const directory = await temporaryDirectory();
    const first = await open(directory);
    await writeFile(join(directory, '.ca.pem.0123456789ab'), 'half a k');
    await writeFile(join(directory, '.tls.crt.0123456789ab'), '');
    await rm(join(directory, 'ca.crt'));
    const second = await open(directory);
    expect(second.current).toEqual(first.current);
    expect(await read(directory, 'ca.crt')).toBe(first.caBundle);
  });

  it('is not issued while ca.pem is corrupt, and the error says what to do', async () => {
    const directory = await temporaryDirectory();
    await open(directory);
    await writeFile(join(directory, 'ca.pem'), 'corrupt');
    await expect(open(directory)).rejects.toThrow(
      /ca\.pem holds no certificate authority .*: restore it .* or delete it/,
    );
    expect(await read(directory, 'ca.pem')).toBe('corrupt');
  });

  it('says so when what it issues is never good', async () => {
    const directory = await temporaryDirectory();
    await expect(open(directory, { lifetimes: { leafLifeMs: 0 } })).rejects.toThrow('is not a good certificate');
  });
});

describe('a check', () => {
  it('changes nothing while nothing is due', async () => {
    const certificate = await open(await temporaryDirectory());
    const onChange = vi.fn();
    certificate.onChange(onChange);
    const before = certificate.current;
    await certificate.check();
    expect(certificate.current).toEqual(before);
    expect(onChange).not.toHaveBeenCalled();
  });

  it('renews at two thirds of life and tells every listener but those that left', async () => {
    let now = start;
    const certificate = await open(await temporaryDirectory(), { now: () => now });
    const [stayed, left] = [vi.fn(), vi.fn()];
    certificate.onChange(stayed);
    certificate.onChange(left)();
    const before = serial(certificate);
    now += 60 * DAY_MS;
    await Promise.all([certificate.check(), certificate.check()]);
    expect(serial(certificate)).not.toBe(before);
    expect(stayed).toHaveBeenCalledOnce();
    expect(left).not.toHaveBeenCalled();
  });

  it('takes over what another process has renewed', async () => {
    const directory = await temporaryDirectory();
    let now = start;
    const [one, two] = [await open(directory, { now: () => now }), await open(directory, { now: () => now })];
    now += 60 * DAY_MS;
    await one.check();
    await two.check();
    expect(two.current).toEqual(one.current);
  });

  it('puts the authority back that was deleted while clients trusted it', async () => {
    const directory = await temporaryDirectory();
    const certificate = await open(directory);
    const { caBundle, current } = certificate;
    await rm(join(directory, 'ca.pem'));
    await certificate.check();
    expect(certificate).toMatchObject({ caBundle, current });
    expect((await open(directory)).caBundle).toBe(caBundle);
  });

  it('keeps serving the current certificate when ca.pem has become corrupt', async () => {
    const directory = await temporaryDirectory();
    const certificate = await open(directory);
    const before = certificate.current;
    await writeFile(join(directory, 'ca.pem'), 'corrupt');
    await expect(certificate.check()).rejects.toThrow('ca.pem holds no certificate authority');
    expect(certificate.current).toBe(before);
  });
});

describe('the timer of checks', () => {
  it('checks every hour, reports failures, and ends with close', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const directory = await temporaryDirectory();
    let now = start;
    const failures = new EventTarget();
    const onError = vi.fn(() => failures.dispatchEvent(new Event('failure')));
    const certificate = await open(directory, { now: () => now, onError });

    const changed = new Promise<void>((resolve) => certificate.onChange(resolve));
    now += 60 * DAY_MS;
    vi.advanceTimersByTime(60 * 60_000);
    await changed;
    expect(onError).not.toHaveBeenCalled();

    await writeFile(join(directory, 'ca.pem'), 'corrupt');
    const failed = once(failures, 'failure');
    vi.advanceTimersByTime(60 * 60_000);
    await failed;

    await certificate.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('checks as often as it is told', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    let now = start;
    const certificate = await open(await temporaryDirectory(), { now: () => now, checkEveryMs: 60_000 });
    const changed = new Promise<void>((resolve) => certificate.onChange(resolve));
    now += 60 * DAY_MS;
    vi.advanceTimersByTime(60_000);
    await changed;
  });
});

describe('processes that start at once on one directory', () => {
  it('agree on the authority and leave a pair that matches', async () => {
    const directory = await temporaryDirectory();
    const certificates = await Promise.all(Array.from({ length: 8 }, () => open(directory)));
    expect(new Set(certificates.map((certificate) => certificate.caBundle)).size).toBe(1);
    await expectMatchingFiles(directory);
    for (const certificate of certificates) await certificate.check();
    expect(new Set(certificates.map(serial)).size).toBe(1);
  });

  it('do so as real processes too, which exit although nobody closed the certificate', async () => {
    const directory = join(await temporaryDirectory(), 'certs');
    await mkdir(directory);
    const program = `
      import { openServingCertificate } from ${JSON.stringify(new URL('../../certs/serving-certificate.ts', import.meta.url))};
      const options = { directory: ${JSON.stringify(directory)}, names: ['localhost'], onError: console.error };
      console.log((await openServingCertificate(options)).caBundle);`;
    const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
    const outputs = await Promise.all([run(), run(), run()]);
    expect(new Set(outputs.map(({ stdout }) => stdout.trim()))).toEqual(
      new Set([(await read(directory, 'ca.crt')).trim()]),
    );
    await expectMatchingFiles(directory);
  });
});

function copy(name: string, from: string, to: string): Promise<void> {
  return copyFile(join(from, name), join(to, name));
}

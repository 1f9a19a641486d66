import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  apiRepository,
  canonicalRegistry,
  formatImageReference,
  imageNameLengthMax,
  isDigest,
  isRepository,
  isTag,
  parseImageReference,
  repositoryOf,
} from '../../connectors/image-reference.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';
import { namesAndSuffixes, references, registries, repositories } from './arbitraries.ts';

const sha256 = `sha256:${'0123456789abcdef'.repeat(4)}`;
const sha512 = `sha512:${'0123456789abcdef'.repeat(8)}`;

function parse(text: string) {
  const parsed = parseImageReference(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.reference;
}

describe('an image reference', () => {
  test.each<[text: string, registryRepositoryTagDigest: string]>([
    ['nginx', 'docker.io library/nginx'],
    ['nginx:1.27', 'docker.io library/nginx 1.27'],
    ['localhost:5000', 'docker.io library/localhost 5000'],
    ['team/app', 'docker.io team/app'],
    ['docker.io/nginx', 'docker.io library/nginx'],
    ['index.docker.io/nginx', 'docker.io library/nginx'],
    ['registry-1.docker.io/team/app', 'docker.io team/app'],
    ['DOCKER.IO:443/nginx', 'docker.io library/nginx'],
    ['docker.io:80/nginx', 'docker.io:80 nginx'],
    ['ghcr.io/org/app:v1', 'ghcr.io org/app v1'],
    ['GHCR.io/org/app', 'ghcr.io org/app'],
    ['Registry/app', 'registry app'],
    ['localhost/app', 'localhost app'],
    ['localhost:5000/app:5000', 'localhost:5000 app 5000'],
    ['r.example.com:05000/app', 'r.example.com:5000 app'],
    ['[::1]:5000/app', '[::1]:5000 app'],
    ['[2001:DB8:0::1]/a/b:t', '[2001:db8::1] a/b t'],
    [`r.example.com/app@${sha256}`, `r.example.com app ${sha256}`],
    [`r.example.com/app:v1@${sha256}`, `r.example.com app v1 ${sha256}`],
    [`r.example.com/app@${sha512}`, `r.example.com app ${sha512}`],
    ['r.example.com/a__b/c--d.e_f', 'r.example.com a__b/c--d.e_f'],
  ])('%s is read as %s', (text, expected) => {
    const reference = parse(text);
    const { registry, tag, digest } = reference;
    expect([registry, repositoryOf(reference), tag, digest].filter(Boolean).join(' ')).toBe(expected);
    expect(formatImageReference(reference)).toBe(text);
  });

  test.each<[text: string, reason: RegExp]>([
    ['', /empty/],
    [' nginx', /not a valid/],
    ['nginx\n', /not a valid/],
    ['Nginx', /"Nginx" must be lower case/],
    ['ghcr.io/Org/app', /must be lower case/],
    ['a'.repeat(64), /image ID/],
    ['https://ghcr.io/app', /"https:" is not a registry host/],
    ['user@ghcr.io/app', /not a registry host/],
    ['my_registry.example.com/app', /not a registry host/],
    ['-r.example.com/app', /not a registry host/],
    ['r.example.com./app', /not a registry host/],
    ['r.example.com:/app', /not a registry host/],
    ['r.example.com:65536/app', /not a registry host/],
    ['[1:2:3]/app', /not a registry host/],
    ['[fe80::1%25eth0]/app', /not a registry host/],
    ['r.example.com/', /not a valid/],
    ['r.example.com//app', /not a valid/],
    ['r.example.com/app/', /not a valid/],
    ['r.example.com/../app', /not a valid/],
    ['r.example.com/a..b', /not a valid/],
    ['r.example.com/app:', /not a valid/],
    ['r.example.com/app:.x', /not a valid/],
    [`r.example.com/app:${'x'.repeat(129)}`, /not a valid/],
    ['r.example.com/app@sha256:abc', /not a valid/],
    [`r.example.com/app@sha256:${'a'.repeat(63)}`, /digest/],
    [`r.example.com/app@sha256:${'A'.repeat(64)}`, /digest/],
    [`r.example.com/app@md5:${'a'.repeat(32)}`, /digest/],
    [`r.example.com/app@constructor:${'a'.repeat(64)}`, /digest/],
    [`r.example.com/app@${sha256}:v1`, /not a valid/],
    [`r.example.com/${'a'.repeat(imageNameLengthMax + 1)}`, /longer than 255/],
    [`r.example.com/app:${'x'.repeat(2000)}`, /longer than 1024/],
  ])('%j is refused with a reason', (text, reason) => {
    expect(parseImageReference(text)).toEqual({ ok: false, reason: expect.stringMatching(reason) });
  });

  test('is given back byte for byte, its suffix too', () => {
    fc.assert(
      fc.property(namesAndSuffixes, ([name, suffix]) => {
        const reference = parse(name + suffix);
        expect(formatImageReference(reference)).toBe(name + suffix);
        expect(reference.suffix).toBe(suffix);
      }),
    );
  });

  test('is nothing that throws, whatever the text', () => {
    const nearly = fc.tuple(references, fc.nat(40), arbitraryText({ maxLength: 3 }));
    const texts = fc.oneof(
      arbitraryText({ maxLength: 1100 }),
      nearly.map(([text, at, inserted]) => text.slice(0, at) + inserted + text.slice(at)),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const parsed = parseImageReference(text);
        if (parsed.ok) expect(formatImageReference(parsed.reference)).toBe(text);
        else expect(parsed.reason).not.toBe('');
      }),
    );
  });
});

describe('a registry', () => {
  test.each<[domain: string, canonical: string | undefined]>([
    ['R.Example.COM', 'r.example.com'],
    ['r:443', 'r:443'],
    ['r:00080', 'r:80'],
    ['r:99999999999999999999', undefined],
    ['[0:0::1]:05', '[::1]:5'],
    ['[::ffff:7f00:1]', '[::ffff:7f00:1]'],
    ['docker.io', 'docker.io'],
    ['index.docker.io:0443', 'docker.io'],
    ['registry-1.docker.io', 'docker.io'],
    ['registry-2.docker.io', 'registry-2.docker.io'],
    ['docker.io.example.com', 'docker.io.example.com'],
    ['r/a', undefined],
    ['', undefined],
  ])('%s is spelled %s', (domain, canonical) => {
    expect(canonicalRegistry(domain)).toBe(canonical);
  });

  test('has one spelling, which stays', () => {
    fc.assert(
      fc.property(registries, (domain) => {
        const canonical = canonicalRegistry(domain);
        expect(canonical).toBeDefined();
        expect(canonicalRegistry(canonical ?? '')).toBe(canonical);
        expect(canonicalRegistry(domain.toUpperCase())).toBe(canonical);
      }),
    );
  });

  test('names a repository of its API once', () => {
    expect(apiRepository('docker.io', 'nginx')).toBe('library/nginx');
    expect(apiRepository('ghcr.io', 'nginx')).toBe('nginx');
    fc.assert(
      fc.property(fc.constantFrom('docker.io', 'ghcr.io'), repositories, (registry, path) => {
        const named = apiRepository(registry, path);
        expect(apiRepository(registry, named)).toBe(named);
      }),
    );
  });
});

test('digests are of the algorithms that image tools know', () => {
  expect([sha256, sha512, `sha384:${'a'.repeat(96)}`].map(isDigest)).toEqual([true, true, true]);
  const bad = ['', 'sha256', 'sha256:', `sha256:${'g'.repeat(64)}`, `__proto__:${'a'.repeat(64)}`, `${sha256}\n`];
  expect(bad.filter(isDigest)).toEqual([]);
});

test('hostile texts of 100 kB take no time', () => {
  const hostile = ['a', 'a-', 'a.', 'a_', '-', '__', 'a/', '[', ':1', 'A', '@', '0'].map((unit) =>
    unit.repeat(100_000 / unit.length),
  );
  const startedAt = performance.now();
  for (const text of hostile.flatMap((text) => [text, `${text}!`, `h.example.com/${text}!`])) {
    parseImageReference(text);
    canonicalRegistry(text);
    isRepository(text);
    isTag(text);
    isDigest(text);
  }
  expect(performance.now() - startedAt).toBeLessThan(1000);
});

import { expect, test } from 'vitest';
import { defaultInvocation, guessInvocation } from '../../kubelet/settings.ts';

test.each([
  'cacheDir: /run/x\nlog:\n  file: /var/log/y\n',
  'cacheDir: "/run/x"\nlog: { level: debug, file: /var/log/y }\n',
  '{"log":{"file":"/var/log/y"},"cacheDir":"/run/x"}',
  '# cacheDir: /run/z\ncacheDir: /run/x # file: /var/log/z\nlog:\n  file: /var/log/y\nbroken: [\n',
])('where cache and log are is guessed without reading the YAML of %j', (text) => {
  expect(guessInvocation(text)).toMatchObject({ cacheDir: '/run/x', log: { file: '/var/log/y' } });
});

test('words instead of paths are guessed too', () => {
  expect(guessInvocation('cacheDir: none\nlog: { file: journal }')).toMatchObject({
    cacheDir: undefined,
    log: { file: undefined },
  });
});

test.each(['', 'oracle: { configFile: /root/.oci/config }', '# cacheDir: /run/z', 'cacheDir: relative'])(
  'where nothing is said, in %j, they are where they are by default',
  (text) => {
    expect(guessInvocation(text)).toEqual(defaultInvocation);
  },
);

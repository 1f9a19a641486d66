import { expect, test } from 'vitest';
import { imageHost } from '../../cli/image-host.ts';

test.each(['localhost:7450', 'localhost', 'proxy:80', 'proxy.example.com', '[::1]:7450'])(
  '%s is an image host',
  (text) => {
    expect(imageHost.parse(text)).toBe(text);
  },
);

test.each(['', 'http://x y', 'http://localhost:7450', 'localhost:7450/', 'proxy', 'a.b/c', 'localhost:99999', 'a:'])(
  '"%s" is no image host, and the message says what to write',
  (text) => {
    const message = imageHost.safeParse(text).error?.issues[0]?.message;
    expect(message).toBe(
      `--image-host is "${text}": write the registry host that images begin with, as localhost:7450`,
    );
  },
);

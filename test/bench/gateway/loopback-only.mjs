/** Preloaded into a program that would listen on all interfaces: it listens on the loopback. */
import { Server } from 'node:net';

const { listen } = Server.prototype;
Server.prototype.listen = function (...args) {
  if (typeof args[0] === 'number') {
    const callback = args.find((arg) => typeof arg === 'function');
    return listen.call(this, { port: args[0], host: '127.0.0.1' }, callback);
  }
  if (typeof args[0] === 'object' && args[0] !== null && 'port' in args[0]) args[0] = { ...args[0], host: '127.0.0.1' };
  return listen.apply(this, args);
};

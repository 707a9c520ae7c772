import RFB from '@novnc/novnc';

const status = document.getElementById('status');
const say = (text) => { status.textContent = text; status.hidden = text === ''; };
const query = new URLSearchParams(location.search);
const path = (query.get('path') || '').replace(/^\/+/, '');
const scheme = location.protocol === 'https:' ? 'wss' : 'ws';

if (!path) {
  say('This address lacks its token. Ask for a new one: openstack console url show SERVER');
} else {
  history.replaceState(null, '', location.pathname); // the token works once; keep it out of the history
  const rfb = new RFB(document.getElementById('screen'), `${scheme}://${location.host}/${path}`, { shared: true, wsProtocols: ['binary'] });
  rfb.scaleViewport = true;
  rfb.addEventListener('connect', () => say(''));
  rfb.addEventListener('disconnect', () => say('The console is closed. An address works once: openstack console url show SERVER'));
  document.getElementById('cad').addEventListener('click', () => rfb.sendCtrlAltDel());
}

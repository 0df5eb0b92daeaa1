-- expect: undefined global 'collectgarbage'
return collectgarbage.x

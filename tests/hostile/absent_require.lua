-- expect: undefined global 'require'
return require.x

<?xml version="1.0" encoding="UTF-8"?>
<!--
3.10 to 4.0, step 2: what gets another form.

Duplicate pairs, bundles' and clones' old names, ping nodes, location constraints with more than one rule.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="xml" encoding="UTF-8" indent="yes" omit-xml-declaration="yes"/>
  <xsl:strip-space elements="*"/>

  <xsl:template match="@*|node()">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
    </xsl:copy>
  </xsl:template>

  <!-- The state of the cluster is not configuration. -->
  <xsl:template match="/cib/status/node()">
    <xsl:copy-of select="."/>
  </xsl:template>

  <xsl:variable name="prefix" select="'pcmk__3_10_upgrade-'"/>
  <xsl:key name="split-location" match="rsc_location[count(rule) &gt; 1]" use="@id"/>

  <!-- Of pairs with the same name in a set the first one counts; the value #default takes back what stands before it. -->
  <xsl:template match="configuration//nvpair">
    <xsl:variable name="later" select="following-sibling::nvpair[@name = current()/@name]"/>
    <xsl:variable name="before" select="preceding-sibling::nvpair[@name = current()/@name][1]"/>
    <xsl:choose>
      <xsl:when test="@value = '#default' and $later">
        <dropped/>
      </xsl:when>
      <xsl:when test="not(@value = '#default') and ($later[@value = '#default']
                                                    or ($before and not($before/@value = '#default')))">
        <dropped/>
      </xsl:when>
      <xsl:otherwise>
        <xsl:copy>
          <xsl:apply-templates select="@*|node()"/>
        </xsl:copy>
      </xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <!-- Bundles: masters is promoted-max. -->
  <xsl:template match="bundle/*/@masters">
    <xsl:attribute name="promoted-max"><xsl:value-of select="."/></xsl:attribute>
    <xsl:attribute name="changed">1</xsl:attribute>
  </xsl:template>

  <!-- A master is a clone with promotable=true; the new set stands first, so nothing overrides it. -->
  <xsl:template match="master">
    <xsl:variable name="set" select="concat($prefix, 'promotable-legacy-', @id, '-meta_attributes')"/>
    <clone>
      <xsl:apply-templates select="@*"/>
      <xsl:attribute name="changed">1</xsl:attribute>
      <meta_attributes id="{$set}" score="INFINITY">
        <nvpair id="{$set}-promotable" name="promotable" value="true"/>
      </meta_attributes>
      <xsl:apply-templates select="node()"/>
    </clone>
  </xsl:template>

  <!-- A ping node is a member on which nothing may run and nothing is probed. -->
  <xsl:template match="nodes/node[@type = 'ping']">
    <xsl:copy>
      <xsl:apply-templates select="@*"/>
      <xsl:attribute name="type">member</xsl:attribute>
      <xsl:attribute name="changed">1</xsl:attribute>
      <xsl:apply-templates select="node()"/>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="constraints">
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
      <xsl:for-each select="../nodes/node[@type = 'ping']">
        <rsc_location id="{$prefix}ping-node-ban-{@uname}" rsc-pattern=".*" node="{@uname}" score="-INFINITY"
                      resource-discovery="never"/>
      </xsl:for-each>
    </xsl:copy>
  </xsl:template>

  <!-- A location constraint has one rule: one constraint for each. What they share belongs to the first. -->
  <xsl:template match="rsc_location[count(rule) &gt; 1]">
    <xsl:variable name="constraint" select="."/>
    <xsl:for-each select="rule">
      <xsl:variable name="rule" select="."/>
      <xsl:variable name="number" select="position()"/>
      <rsc_location>
        <xsl:for-each select="$constraint/@*">
          <xsl:choose>
            <xsl:when test="name() = 'id'">
              <xsl:attribute name="id"><xsl:value-of select="concat($prefix, ., '-', $number)"/></xsl:attribute>
            </xsl:when>
            <xsl:when test="name() = 'original'">
              <xsl:attribute name="original">0</xsl:attribute>
            </xsl:when>
            <xsl:otherwise>
              <xsl:copy/>
            </xsl:otherwise>
          </xsl:choose>
        </xsl:for-each>
        <xsl:for-each select="$constraint/node()">
          <xsl:choose>
            <xsl:when test="self::rule">
              <xsl:if test="generate-id() = generate-id($rule)">
                <xsl:apply-templates select="."/>
              </xsl:if>
            </xsl:when>
            <xsl:when test="$number = 1">
              <xsl:apply-templates select="."/>
            </xsl:when>
            <xsl:otherwise>
              <xsl:apply-templates select="." mode="copy-of-original"/>
            </xsl:otherwise>
          </xsl:choose>
        </xsl:for-each>
      </rsc_location>
    </xsl:for-each>
  </xsl:template>

  <xsl:template match="*" mode="copy-of-original">
    <xsl:copy>
      <xsl:copy-of select="@*"/>
      <xsl:attribute name="original">0</xsl:attribute>
      <xsl:apply-templates select="*" mode="copy-of-original"/>
    </xsl:copy>
  </xsl:template>
  <xsl:template match="comment()" mode="copy-of-original"/>

  <!-- Access rights follow. -->
  <xsl:template match="acl_permission/@reference[key('split-location', .)]">
    <xsl:variable name="id" select="."/>
    <xsl:attribute name="xpath">
      <xsl:text>//*[</xsl:text>
      <xsl:for-each select="key('split-location', .)/rule">
        <xsl:if test="position() &gt; 1"> or </xsl:if>
        <xsl:value-of select='concat("@id = &apos;", $prefix, $id, "-", position(), "&apos;")'/>
      </xsl:for-each>
      <xsl:text>]</xsl:text>
    </xsl:attribute>
    <xsl:attribute name="changed">1</xsl:attribute>
  </xsl:template>

</xsl:stylesheet>

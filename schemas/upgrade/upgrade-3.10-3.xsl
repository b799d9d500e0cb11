<?xml version="1.0" encoding="UTF-8"?>
<!--
3.10 to 4.0, step 3: no more lifetimes.

In a location constraint the lifetime becomes a part of the rule. In colocation and order constraints lifetimes had to be
given up; rules in them that other places refer to move to a constraint that matches no resource.
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

  <!-- Copies of rules that stay: those in the lifetimes of colocations and orders vanish with them. -->
  <xsl:key name="rule-in-use" use="@id"
           match="rule[@original = '0'][not(ancestor::lifetime[parent::rsc_colocation or parent::rsc_order])]"/>

  <xsl:template match="rsc_location[lifetime/rule]">
    <xsl:variable name="limits" select="lifetime/rule"/>
    <xsl:copy>
      <xsl:apply-templates select="@*[name() != 'score' and name() != 'node']"/>
      <xsl:apply-templates select="node()[not(self::rule or self::lifetime)]"/>
      <rule id="{$prefix}{@id}-lifetime-and-rule" boolean-op="and">
        <xsl:choose>
          <xsl:when test="rule">
            <xsl:apply-templates select="rule"/>
          </xsl:when>
          <xsl:otherwise>
            <rule id="{$prefix}{@id}-node-score-rule" score="{@score}">
              <expression id="{$prefix}{@id}-node-score-rule-expr" attribute="#uname" operation="eq" value="{@node}"/>
            </rule>
          </xsl:otherwise>
        </xsl:choose>
        <xsl:choose>
          <xsl:when test="count($limits) &gt; 1">
            <rule id="{$prefix}{@id}-lifetime-or-rule" boolean-op="or">
              <xsl:apply-templates select="$limits"/>
            </rule>
          </xsl:when>
          <xsl:otherwise>
            <xsl:apply-templates select="$limits"/>
          </xsl:otherwise>
        </xsl:choose>
      </rule>
    </xsl:copy>
  </xsl:template>

  <xsl:template match="rsc_colocation/lifetime|rsc_order/lifetime">
    <xsl:message>WARNING: Dropping lifetime element from constraint <xsl:value-of select="../@id"/> because lifetime <!--
      -->elements are no longer supported. Any rules contained there will no longer apply to the constraint</xsl:message>
  </xsl:template>

  <xsl:template match="constraints">
    <xsl:variable name="kept" select="(rsc_colocation|rsc_order)/lifetime/rule[@original = '1'][key('rule-in-use', @id)]"/>
    <xsl:copy>
      <xsl:apply-templates select="@*|node()"/>
      <xsl:if test="$kept">
        <rsc_location id="{$prefix}coloc-order-lifetime-rules" rsc-pattern="a^">
          <rule id="{$prefix}coloc-order-lifetime-rules-rule" score="-INFINITY">
            <xsl:apply-templates select="$kept"/>
          </rule>
        </rsc_location>
      </xsl:if>
    </xsl:copy>
  </xsl:template>

</xsl:stylesheet>
